"""The write-up's questions, each answered by a command: runs, tables, figures, a verdict."""
