"""Painting: light -> a model's distribution over colors -> chroma -> the photograph in color."""
