"""What came of it, for marketers: one Python file per page in pages/, its queries as contract SQL in queries/."""
