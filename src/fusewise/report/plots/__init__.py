"""Drawings, one per file: plain numbers in, SVG out."""
