# Lets `flask run` find the site without --app.
FLASK_APP=blasto
