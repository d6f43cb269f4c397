"""Where versions are published: folders and registries of other serving systems. One file each."""
