"""From recordings to windows: experiment, protocols, splits, labels, augmentation, virtual windows."""
