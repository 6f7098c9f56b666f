"""Files of other systems: Sigizi in and out; FHIR, DHIS2, CSV and the Monev report out.

Growth rules and the merging of changes are in the packages below; an import makes ordinary changes.

Reading a file
    sheets          rows of XLSX, HTML or CSV files; writing XLSX and CSV
    cells           one cell -> a value, or the rule that it breaks
    sigizi          Sigizi sheets: columns, rows, and the writer of its export and import templates
    refusals        texts of refusals, questions and notes
Importing Sigizi
    uploads         files uploaded on a page: previewed, applied in steps, or discarded
    import_runs     one import or dry run from start to finish
    import_chunks   a file's rows, sorted and cut into chunks
    import_workers  worker processes that share the chunks
    gazetteer       the posyandu that a row names
    child_matching  the child that a row is about
    import_plan     the changes and the result of each row
    score_comparison  the file's z-scores compared with ours
    import_store    tables of runs, chunks and questions
    cases           questions: rows that a person must decide about
    import_report   counts of an import
    report_text     imports as text, CSV or JSON
Exporting
    export_formats  every format by name: checked, logged, written
    export_rows     children and measurements within a scope
    fhir            FHIR R4 bundle with SATUSEHAT codes
    dhis2           SKDN counts as DHIS2 dataValueSets
    measurements_csv  measurements for analysis, with a codebook
    monev           Monev report as PDF and XLSX
    score_csv       WHO z-scores added to any CSV file
"""
