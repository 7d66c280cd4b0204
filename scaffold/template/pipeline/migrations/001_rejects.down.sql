DROP TABLE app.rejects;
