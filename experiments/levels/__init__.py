"""Levels for people: showing, editing, checking, playing, exporting and replaying them."""
