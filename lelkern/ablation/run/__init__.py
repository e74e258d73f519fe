"""How a study's trials run, and where their results are kept."""
