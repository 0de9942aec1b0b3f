"""Who is who: one record a person, with the numbers and names by which they are known, and their consent."""
