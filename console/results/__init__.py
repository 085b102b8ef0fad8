"""Results of runs from their local copies: scores, analysis, descriptions, next steps, report. Nothing here imports Textual."""
