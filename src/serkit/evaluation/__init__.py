"""From predictions to numbers and pages: scores, intervals, paired tests, submissions, the report."""
