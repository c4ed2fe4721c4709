# What a bare `flask run` runs.
FLASK_APP=blasto
