"""What is watched of texts beyond their characters: words, scripts, repetition and what they are about."""
