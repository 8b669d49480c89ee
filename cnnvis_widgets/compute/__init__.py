"""Network + image -> arrays. Nothing here knows TensorFlow, widgets or matplotlib."""
