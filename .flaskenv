# What a bare `flask run` runs, and with --debug restarts for besides the code.
FLASK_APP=blasto
FLASK_RUN_EXTRA_FILES=blasto/templates/style.css
