"""What the tests of images and arrays share: every format that holds a matrix, written by hand."""

import gzip
import json
import struct

import h5py
import numpy as np


def idx(array):
    """IDX: MNIST's format."""
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    head = struct.pack(">BBBB", 0, 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def safetensors(**tensors):
    """Values: arrays, or (dtype's name, shape, bytes)."""
    names = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u8": "U64",
             "u4": "U32", "u2": "U16", "u1": "U8", "b1": "BOOL"}
    header, data = {"__metadata__": {"made": "by hand"}}, b""
    for name, tensor in tensors.items():
        if isinstance(tensor, tuple):
            dtype, shape, piece = tensor
        else:
            dtype, shape, piece = names[tensor.dtype.str[1:]], tensor.shape, tensor.tobytes()
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def bfloat16(array):
    """Its bytes; exact for whole numbers up to 256."""
    return (np.asarray(array, "<f4").view("<u4") >> 16).astype("<u2").tobytes()


def cifar(images, labels):
    """images: (n, 3, 32, 32) bytes."""
    return np.concatenate([np.asarray(labels, np.uint8)[:, None], images.reshape(len(images), -1)], 1).tobytes()


def write_every_format(folder, a):
    """Names of inputs that all hold the matrix `a` of whole numbers from 0 to 255."""
    np.save(folder / "c.npy", a)
    np.save(folder / "fortran.npy", np.asfortranarray(a.astype(">f4")))
    np.savez(folder / "stored.npz", x=a.astype("u1"), y=np.zeros(3))
    np.savez_compressed(folder / "packed.npz", x=a.astype("f8"))
    np.savez(folder / "one.npz", a)
    (folder / "t.safetensors").write_bytes(safetensors(
        f64=a.astype("f8"), f32=a.astype("f4"), f16=a.astype("f2"), bf16=("BF16", a.shape, bfloat16(a)),
        i64=a.astype("i8"), u8=a.astype("u1"), v=np.zeros(3, "f4")))
    (folder / "alone.safetensors").write_bytes(safetensors(i32=a.astype("i4")))
    (folder / "a.idx").write_bytes(idx(a.astype("i4")))
    (folder / "a-idx2-ubyte").write_bytes(idx(a.astype("u1")))
    (folder / "a-idx2-ubyte.gz").write_bytes(gzip.compress(idx(a.astype("u1"))))
    (folder / "a.raw").write_bytes(a.astype(">f8").tobytes())
    (folder / "a.bin").write_bytes(b"a head of 17 byte" + a.astype("<i2").tobytes())
    (folder / "a.dat").write_bytes(bfloat16(a))
    np.savetxt(folder / "a.csv", a, delimiter=",", fmt="%d")
    with h5py.File(folder / "a.h5", "w") as file:
        file["X"], file["XT"] = a, a.T
    n, d = a.shape
    for k, part in enumerate(np.array_split(a, 3)):
        np.save(folder / f"part-{k}.npy", part)
        (folder / f"part_{k}.csv").write_text("\n".join(",".join(map(str, row)) for row in part.astype(int)) + "\n")
        np.savez_compressed(folder / f"part={k}.npz", x=part)
    return ["c.npy", "fortran.npy", "stored.npz#x", "packed.npz#x", "packed.npz", "one.npz", "t.safetensors#f64",
            "t.safetensors#f32", "t.safetensors#f16", "t.safetensors#bf16", "t.safetensors#i64", "t.safetensors#u8",
            "alone.safetensors", "a.idx", "a-idx2-ubyte", "a-idx2-ubyte.gz", f"a.raw#float64be:{n}x{d}",
            f"a.raw#>f8:{d}", f"a.bin#int16:{d}@17", f"a.dat#bfloat16:{d}", "a.csv", "a.h5#X", "part-*.npy",
            "part_?.csv", "part=[0-2].npz#x"]
