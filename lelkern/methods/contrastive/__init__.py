"""Contrastive learning: representations from telling views of one image from those of others."""
