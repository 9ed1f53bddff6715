"""Pictures of Convoy's files: one kind a module, each with

    NAME, SUMMARY, TEACHES   for --help
    options(add)             its own options; `add` is argparse's add_argument
    lacks(file)              what one file would need for this picture, or nothing if it serves
    draw(files, **options)   a matplotlib Figure of opened files

Files are opened and judged by `files`, points are read by `clouds`, colours and sizes are `style`'s.
"""
