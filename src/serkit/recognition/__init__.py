"""From a bundle and recordings to answers: the recognizer, timelines, explanations, profiles, files of answers."""
