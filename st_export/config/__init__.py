"""The configuration file, validated before any work."""
