# A package, so that no dependency that installs a `tests` of its own is imported in its place.
