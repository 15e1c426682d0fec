"""The entities of the API as data: kinds, paths, keys, paging, columns."""
