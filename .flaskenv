# The site that a bare `flask run` serves, and a file for which --debug restarts it too.
FLASK_APP=blasto
FLASK_RUN_EXTRA_FILES=blasto/templates/style.css
