"""Transform jobs in, objects of S3 read, scored and written out."""
