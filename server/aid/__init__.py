"""Aid: who gives what to whom, what companies report, where aid overlaps and where it is missing.

words        codes with their texts in both languages
rules        what a row of a CSR sheet is about, and which menu helps which need
csr_parser   the cells of a sheet as values
sheets       a CSR sheet, from the file to activities
register     donors, commitments, and activities for villages
deliveries   what a child got
need         gap, overlap, and proposals who could help
donor_view   what a donor may see
forms        requests, checked field by field;  serializers: answers as JSON, CSV and tables;  area: who may see what
"""
