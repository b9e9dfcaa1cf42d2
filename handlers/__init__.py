"""Entry points: each turns its own kind of event into `FileDropped` and hands it on."""
