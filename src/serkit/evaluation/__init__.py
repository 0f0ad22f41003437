"""From predictions to scores, intervals, paired tests and reports; also for predictions of other software."""
