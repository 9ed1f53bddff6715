"""convoy-plot, the command line."""
import argparse
import contextlib
import sys
import warnings

from . import convergence, epsilons, images, interpolation, path, style, transition, transported
from .files import ConvoyFile
from .refused import Refused, one_line

KINDS = (convergence, transition, transported, images, interpolation, path, epsilons)
ABOUT = "Pictures of what Convoy writes: results, mapped points, queries."
AFTER = """\
`convoy-plot KIND --help` teaches one kind. A file that cannot serve is refused with the kinds that it does serve.

  convoy-plot convergence run.h5 -o run.png
  convoy-plot points images.h5 -o transported.pdf
  convoy-plot transition groups.h5 -o groups.svg

Exit codes: 0 drawn, 1 failed, 2 bad usage or input (one line says which, nothing is written)."""


class Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def __init__(self, **more):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **more)

    def error(self, message):
        self.exit(2, f"error: {one_line(message)} ({self.prog} --help tells more)\n")


def parser():
    top = Parser(prog="convoy-plot", description=ABOUT, epilog=AFTER)
    kinds = top.add_subparsers(dest="kind", required=True, metavar="KIND", title="kinds", parser_class=Parser)
    for kind in KINDS:
        one = kinds.add_parser(kind.NAME, help=kind.SUMMARY, description=kind.SUMMARY.capitalize() + ".",
                               epilog=kind.TEACHES, prog=f"convoy-plot {kind.NAME}")
        one.add_argument("files", nargs="+", metavar="FILE", help="of Convoy's")
        kind.options(one.add_argument)
        out = one.add_argument_group("output").add_argument
        out("-o", "--output", required=True, metavar="OUT", help="the picture: .png, .pdf or .svg (required)")
        out("--overwrite", action="store_true", help="replace it if it exists")
        out("--title", metavar="TEXT", help="instead of the picture's own")
        out("--dpi", type=resolution, default=150, metavar="N", help="dots an inch, of .png (default: %(default)s)")
        one.set_defaults(module=kind)
    return top


def resolution(text):
    if not 20 <= int(text) <= 1200:
        raise ValueError
    return int(text)


resolution.__name__ = "number of dots an inch (20 to 1200)"


def opened(stack, paths):
    return [stack.enter_context(ConvoyFile(path)) for path in paths]


def served(file):
    """Kinds that this file serves, in words."""
    names = [kind.NAME for kind in KINDS if kind.lacks(file) is None]
    return f"it serves {', '.join(names)}" if names else "it serves no picture"


def judge(kind, files):
    """Every file must be of use, but a result may stand beside what is made from it."""
    for file in files:
        needed = kind.lacks(file)
        beside = file.kind == "result" and any(kind.lacks(other) is None for other in files if other is not file)
        if needed and not beside:
            raise Refused(f"{file.path}: is {file.description}, but '{kind.NAME}' needs {needed}; {served(file)}")


def retitle(figure, text):
    if figure._suptitle is not None:
        figure.suptitle(text, fontsize=10, x=0.01, ha="left")
    else:
        figure.axes[0].set_title(text)


def run(words):
    options = vars(parser().parse_args(words))
    kind, output, overwrite, title, dpi = map(options.pop, ("module", "output", "overwrite", "title", "dpi"))
    options.pop("kind")
    style.format_of(output)
    style.check_output(output, overwrite)
    with contextlib.ExitStack() as stack:
        files = opened(stack, options.pop("files"))
        judge(kind, files)
        figure = kind.draw(files, **options)
        if title:
            retitle(figure, title)
        style.check_output(output, overwrite)
        style.save(figure, output, dpi)
    print(f"drew {output}")


def main(run=run):
    """The exit code; what goes wrong is one line, and nothing else is said."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(sys.argv[1:])
        sys.stdout.flush()
        return 0
    except Refused as error:
        return failed(error, 2)
    except KeyboardInterrupt:
        return failed("interrupted", 1)
    except MemoryError:
        return failed("not enough memory; draw fewer points (--most)", 1)
    except OSError as error:
        return failed(error, 1)
    except Exception as error:  # a person gets a line, whatever it was
        return failed(f"{type(error).__name__}: {error} (this should not happen; please report it)", 1)
    finally:
        style.plotter().close("all")


def failed(error, code):
    print(f"error: {one_line(error)}", file=sys.stderr)
    return code
