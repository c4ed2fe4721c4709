from .app import create_app

APP = create_app()
