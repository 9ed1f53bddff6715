#!/usr/bin/env python3
"""What the compiler made of the kernels in src/kernels/cuda: registers, spills, shared memory, and the instructions that
they were written for. Needs nvcc and no device.

    tests/kernels/cuda/check_resources.py            fails where a hot kernel is not what its file says it is
    tests/kernels/cuda/check_resources.py --table    also prints all kernels, in Markdown (bench/cuda-rates.md)

Machine code is looked at with cuobjdump or nvdisasm, of the toolkit or of an installed Triton; where there is neither,
PTX stands in for it.
"""
import argparse
import concurrent.futures
import dataclasses
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
KIB = 1024

# What an instruction is called in machine code and in PTX.
INSTRUCTIONS = {"HMMA": (r"HMMA\.16816\.F32", r"mma\.sync\S*m16n8k16"),
                "HGMMA": (r"HGMMA\.64x64x16\.F32", r"wgmma\.mma_async\S*m64n64k16"),
                "MUFU.EX2": (r"MUFU\.EX2", r"ex2\.approx\.ftz\.f32"),
                "MUFU.RSQ": (r"MUFU\.(RSQ|SQRT)", r"sqrt\.(approx|rn)\S*f32"),
                "LDGSTS": (r"LDGSTS", r"cp\.async"),
                "LDSM": (r"LDSM", r"ldmatrix"),
                "FFMA": (r"FFMA", r"fma\.rn(\.ftz)?\.f32"),
                "DFMA": (r"DFMA", r"fma\.rn\.f64"),
                "LDG.128": (r"LDG\.E\S*\.128", r"ld\.global\S*\.v4"),
                "LDS.128": (r"LDS\.128", r"ld\.shared\S*\.v4")}
LOCAL = (r"\b(LDL|STL)\b", r"\b(ld|st)\.local\b")


@dataclasses.dataclass
class Hot:
    """A kernel that is worth the trouble: its name, threads and shared memory of a block, the blocks that a
    multiprocessor must have room for (of the architectures on which it is launched), its instructions, and how
    many bytes it may spill."""
    name: str
    threads: int
    blocks: dict
    instructions: tuple
    shared: int = 0
    borne: int = 0  # bytes of spills: a few registers of a full file, not worth a smaller tile


@dataclasses.dataclass(frozen=True)
class Machine:
    """Of a multiprocessor; `of_block`: the most shared memory of one block."""
    registers: int
    threads: int
    shared: int
    of_block: int


MACHINES = {80: Machine(65536, 2048, 164 * KIB, 163 * KIB), 90: Machine(65536, 2048, 228 * KIB, 227 * KIB)}
RESERVED = KIB  # of shared memory, for every block

# product_loop.hpp: a slice of 128 points and its stages; column numbers and what is the epilogue's own
SLICE, SMALL = 32 * KIB, 6 * KIB


def both(blocks):
    return {80: blocks, 90: blocks}


TILES = 2 * (128 + 128) * 20 * 4 + 2 * 2 * 128 * 4 + 2 * 128 * 4 + 2 * 128 * 8  # tile.cu: Memory<float>, short products
# Tiles of 64 x 64 pairs a warp take 128 registers for their sums alone and all 255 in the end: some five more are kept
# in local memory, for the exponentials of a tile, none in the loop over its products. Smaller tiles would read shared
# memory half as much again.
BORNE = 32
HOT = [
    # points.cu: two tiles of 128 points
    *(Hot(rf"register_sums_kernel<{d}>", 128, both(blocks), ("FFMA", "MUFU.EX2", "LDGSTS", "LDS.128"),
          2 * 128 * -(-(d + 2) // 4) * 4 * 4)
      for d, blocks in ((1, 8), (2, 7), (3, 6), (4, 5), (8, 4), (16, 2))),
    # products.cu: d <= 64; more, with the least that the form takes, or, where there is less shared memory, another form
    Hot(r"few_products<SumsOfTerms", 128, {80: 1, 90: 2}, ("HMMA", "LDSM", "LDGSTS", "MUFU.EX2"), 3 * SLICE + SMALL),
    Hot(r"many_products<Form<4, 4, 2, \d+>, SumsOfTerms", 128, {80: 1, 90: 2}, ("HMMA", "LDSM", "LDGSTS", "MUFU.EX2"),
        3 * SLICE + SMALL, BORNE),
    Hot(r"many_products<Form<4, 8, 1, 64>, SumsOfTerms", 256, {90: 1}, ("HMMA", "LDSM", "LDGSTS", "MUFU.EX2"),
        6 * SLICE + SMALL, BORNE),
    Hot(r"many_products<Form<4, 8, 1, 64>, StoredProducts", 256, {90: 1}, ("HMMA", "LDSM", "LDGSTS"), 6 * SLICE + SMALL,
        BORNE),
    Hot(r"many_products<Form<2, 8, 1, 64>, SumsOfTerms", 256, both(1), ("HMMA", "LDSM", "LDGSTS", "MUFU.EX2"),
        4 * SLICE + SMALL),
    Hot(r"many_products<Form<2, 8, 1, 64>, StoredProducts", 256, both(1), ("HMMA", "LDSM", "LDGSTS"), 4 * SLICE + SMALL),
    # products_hopper.cu: two tiles of 192 staying points, four of 64 summed ones and their numbers
    Hot(r"hopper_sums<\d>", 384, {90: 1}, ("HGMMA", "LDGSTS", "MUFU.EX2"), 1024 + 48 * KIB + 4 * (16 * KIB + 512)),
    # apply_columns.cu
    Hot(r"many_products<Form<2, 8, 1, 64>, Average", 256, both(1), ("HMMA", "LDSM", "LDGSTS", "MUFU.EX2"),
        4 * SLICE + SMALL, 3 * BORNE),
    # kept_products.cu
    Hot(r"row_sums<true>", 256, both(4), ("LDG.128", "MUFU.EX2", "FFMA")),
    Hot(r"column_sums<true>", 256, both(4), ("LDG.128", "MUFU.EX2", "FFMA"), 8 * 128 * 8),
    # tile.cu
    Hot(r"sums_kernel<float, InnerForm", 256, both(2), ("FFMA", "MUFU.EX2", "LDGSTS", "LDS.128"), TILES),
    Hot(r"sums_kernel<float, SquareForm", 256, both(2), ("FFMA", "MUFU.EX2", "LDGSTS"), TILES),
    Hot(r"sums_kernel<float, RootForm", 256, both(2), ("FFMA", "MUFU.EX2", "MUFU.RSQ", "LDGSTS"), TILES),
    Hot(r"sums_kernel<float, PowerForm<float, .*0>", 256, both(2), ("FFMA", "MUFU.EX2", "MUFU.RSQ", "LDGSTS"), TILES),
    Hot(r"sums_kernel<double, InnerForm", 256, both(2), ("DFMA", "LDGSTS")),
    Hot(r"logits_kernel<float, InnerForm", 256, both(2), ("FFMA", "LDGSTS", "LDS.128"), TILES),
    Hot(r"logits_kernel<float, SquareForm", 256, both(2), ("FFMA", "LDGSTS"), TILES),
    # terms.cu
    Hot(r"raise_maximum_kernel<float>", 128, both(8), ()),
    Hot(r"exponentials_kernel<float>", 128, both(8), ("MUFU.EX2",)),
    Hot(r"add_(costs|values)_kernel<float>", 128, both(8), ("FFMA",)),
    Hot(r"add_products_kernel<float, BlockShape<float, 8, 8, 4, 2>, Col", 256, {80: 1, 90: 2},
        ("FFMA", "LDGSTS", "LDS.128"), 100 * KIB),
    Hot(r"add_products_kernel<float, BlockShape<float, 8, 8, 1, 1>, Col", 256, {80: 1, 90: 2},
        ("FFMA", "LDGSTS", "LDS.128"), 113 * KIB),
]


@dataclasses.dataclass
class Compiled:
    """A kernel as ptxas tells it, and its code."""
    name: str
    file: str
    architecture: int
    registers: int
    stack: int
    spills: int
    shared: int  # static
    code: str = ""


# --- the toolkit ----------------------------------------------------------------------------------------------------

def folders_of_toolkit():
    known = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    return [pathlib.Path(folder) / "bin" for folder in (*known, "/usr/local/cuda") if folder]


def find(tool):
    """On the PATH, in the toolkit's folder, in an installed Triton; None if nowhere."""
    found = shutil.which(tool)
    folders = folders_of_toolkit()
    triton = importlib.util.find_spec("triton")
    if triton and triton.origin:
        folders.append(pathlib.Path(triton.origin).parent / "backends/nvidia/bin")
    for folder in folders:
        if not found and os.access(folder / tool, os.X_OK):
            found = str(folder / tool)
    return found


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {words[0]} failed on {words[-1]}:\n{done.stderr.strip()}")
    return done.stdout + done.stderr


def plain_names(mangled):
    """Demangled, without namespaces, parameters and return types."""
    shown = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True).stdout.splitlines()
    names = {}
    for name, text in zip(mangled, shown):
        text = re.sub(r"\(anonymous namespace\)::|\b(convoy|cuda|products|kernels)::|^void ", "", text)
        text = re.sub(r"\((?:convoy::cuda::)?(\w+)\)(\d+)", r"\2", text)  # (Exponent)0
        depth, end = 0, len(text)
        for k, c in enumerate(text):
            depth += (c == "<") - (c == ">")
            if c == "(" and depth == 0:
                end = k
                break
        names[name] = text[:end]
    return names


ENTRY = re.compile(r"Compiling entry function '(\S+)' for 'sm_(\d+)\w*'\n"
                   r".*\n\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\n"
                   r".*Used (\d+) registers(.*)")


def target(architecture):
    """Hopper's own instructions are there for 90a only."""
    name = "90a" if architecture == 90 else architecture
    return ["-gencode", f"arch=compute_{name},code=sm_{name}"]


def compiled(nvcc, source, architecture, folder):
    """All kernels of one file, with ptxas' report and the file that holds their code."""
    cubin = folder / f"{source.stem}.{architecture}.cubin"
    words = [*([shutil.which("ccache")] if shutil.which("ccache") else []), nvcc, "-std=c++20", "-O3",
             "--expt-relaxed-constexpr", *target(architecture), "-I", ROOT / "src", "-I", ROOT / "include"]
    report = run(*words, "-Xptxas", "-v", "-cubin", "-o", cubin, source)
    found = {}
    for entry in ENTRY.finditer(report):
        static = re.search(r"(\d+) bytes smem", entry[7])
        found[entry[1]] = Compiled("", source.name, int(entry[2]), int(entry[6]), int(entry[3]),
                                   int(entry[4]) + int(entry[5]), int(static[1]) if static else 0)
    for name, text in plain_names(list(found)).items():
        found[name].name = text
    for name, code in code_of(cubin, lambda: run(*words, "-ptx", "-o", "/dev/stdout", source)).items():
        if name in found:
            found[name].code = code
    return list(found.values())


def code_of(cubin, ptx):
    """Mangled name -> machine code, or PTX."""
    if cuobjdump := find("cuobjdump"):
        parts = re.split(r"\n\s*Function : (\S+)\n", run(cuobjdump, "-sass", cubin))
    elif nvdisasm := find("nvdisasm"):
        parts = re.split(r"\n\.text\.(\S+):\n", run(nvdisasm, cubin))
    else:
        parts = re.split(r"\n(?:\.\w+ )*\.entry (\w+)", ptx())  # what nvcc says beside it does no harm
    return dict(zip(parts[1::2], parts[2::2]))


def in_machine_code():
    return bool(find("cuobjdump") or find("nvdisasm"))


# --- checks ---------------------------------------------------------------------------------------------------------

def blocks_together(kernel, threads, shared):
    """Blocks of threads that a multiprocessor has room for, 0 if none is."""
    machine = MACHINES[kernel.architecture]
    shared += kernel.shared
    if shared > machine.of_block:
        return 0
    registers = -(-kernel.registers * 32 // 256) * 256 * -(-threads // 32)  # of a block: warps get them by 256
    return min(machine.registers // registers, machine.threads // threads, machine.shared // (shared + RESERVED), 32)


def problems_of(kernel, hot):
    wanted = hot.blocks[kernel.architecture]
    if kernel.spills > hot.borne or kernel.stack > hot.borne:
        yield f"{kernel.spills} bytes of spills, {kernel.stack} of stack"
    room = blocks_together(kernel, hot.threads, hot.shared)
    if room < wanted:
        why = f"{kernel.registers} registers, {hot.threads} threads, {hot.shared + kernel.shared} bytes of shared memory"
        yield f"room for {room} blocks on a multiprocessor, not {wanted} ({why})"
    form = 0 if in_machine_code() else 1
    if not hot.borne and (local := len(re.findall(LOCAL[form], kernel.code))):
        within = "".join(f", {kinds['local']} of them in a loop of {count} instructions"
                         for count, kinds in loops(kernel.code) if "local" in kinds)
        yield f"it uses local memory in {local} places{within}"
    for instruction in hot.instructions:
        if not re.search(INSTRUCTIONS[instruction][form], kernel.code):
            yield f"no {instruction}"


def check(kernels, architectures):
    """Lines that say what is wrong."""
    for hot in HOT:
        for architecture in (a for a in architectures if a in hot.blocks):
            matching = [k for k in kernels if k.architecture == architecture and re.match(hot.name, k.name)]
            if not matching:
                yield f"sm_{architecture}: there is no kernel {hot.name}"
            for kernel in matching:
                for problem in problems_of(kernel, hot):
                    yield f"sm_{architecture}: {kernel.file}, {kernel.name}: {problem}"


# --- the record -----------------------------------------------------------------------------------------------------

LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+ )?([A-Z][\w.]*)([^;]*);")


COUNTED = ("HGMMA", "HMMA", "MUFU", "FFMA", "DFMA", "LDSM", "LDS", "LDG", "LDGSTS")


def loops(code):
    """Of every loop of machine code, without the loops within it: the instructions, and those of some kinds."""
    lines = [(int(at, 16), name, rest) for at, name, rest in LINE.findall(code)]
    ranges = []
    for at, name, rest in lines:
        target = re.search(r"0x([0-9a-f]+)", rest) if name.startswith("BRA") else None
        if target and int(target[1], 16) < at:
            ranges.append((int(target[1], 16), at))
    own = {span: [] for span in ranges}
    for at, name, _ in lines:
        around = [span for span in own if span[0] <= at <= span[1]]
        if around:
            own[min(around, key=lambda span: span[1] - span[0])].append(name.split(".")[0])
    for names in own.values():
        counts = {name: names.count(name) for name in COUNTED if name in names}
        if local := names.count("LDL") + names.count("STL"):
            counts["local"] = local
        if any(counts.get(name, 0) >= 4 for name in ("HGMMA", "HMMA", "MUFU", "FFMA", "DFMA")):
            yield len(names), counts


def table(kernels):
    print("| file | kernel | sm | registers | spills | blocks together | loops: instructions, some of them |")
    print("|---|---|---|---|---|---|---|")
    for kernel in sorted(kernels, key=lambda k: (k.file, k.name, k.architecture)):
        hot = next((h for h in HOT if re.match(h.name, kernel.name)), None)
        launched = hot and kernel.architecture in hot.blocks
        room = blocks_together(kernel, hot.threads, hot.shared) if launched else ""
        found = [f"{count}: " + ", ".join(f"{n} {name}" for name, n in kinds.items())
                 for count, kinds in (loops(kernel.code) if launched else ())]
        print(f"| {kernel.file} | `{kernel.name}` | {kernel.architecture} | {kernel.registers} | {kernel.spills} | {room} | "
              f"{'; '.join(found)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", default="80,90", help="compute capabilities (default %(default)s)")
    parser.add_argument("--nvcc", default=find("nvcc"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.nvcc:
        print("CUDA not compiled here: no nvcc on the PATH, in CUDA_HOME or in /usr/local/cuda")
        return 0
    architectures = [int(number) for number in options.architectures.split(",")]
    sources = sorted((ROOT / "src/kernels/cuda").glob("*.cu"))
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(compiled, options.nvcc, source, architecture, pathlib.Path(folder))
                for source in sources for architecture in architectures
                if architecture == 90 or "hopper" not in source.stem]
        kernels = [kernel for job in jobs for kernel in job.result()]
    problems = list(check(kernels, architectures))
    if options.table:
        table(kernels)
    for problem in problems:
        print(problem)
    print(f"{len(kernels)} kernels in {len(sources)} files, of {options.architectures}, by "
          f"{'machine code' if in_machine_code() else 'PTX'}: {len(problems)} problems")
    return 1 if problems or not kernels else 0


if __name__ == "__main__":
    sys.exit(main())
