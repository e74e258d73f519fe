"""Semi-supervised learning: a classifier from few labelled images and many without labels."""
