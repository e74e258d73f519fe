"""Multi-task learning: several tasks that help each other, by what they share or what is sparse."""
