"""Public test support for authors of plug-ins: contract suites, known answers and fakes."""
