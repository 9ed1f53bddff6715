"""CRC-32C (Castagnoli) of arrays, as Convoy notes it of everything it reads and writes. In numpy: many pieces of the
bytes are summed side by side, then joined."""
import numpy as np

POLYNOMIAL = 0x82F63B78
LANES = 4096


def _table():
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1).astype(np.uint32)
    wide = np.arange(65536, dtype=np.uint32)  # two bytes at a time
    for _ in range(2):
        wide = table[wide & 255] ^ (wide >> np.uint32(8))
    return table, wide


BYTE, WORD = _table()


def _zeros(length):
    """What `length` zero bytes do to a CRC, as a 32 x 32 matrix over GF(2): a word a bit of the argument."""
    step = np.array([BYTE[1 << bit & 255] ^ (1 << bit >> 8) for bit in range(32)], np.uint32)
    total = np.uint32(1) << np.arange(32, dtype=np.uint32)
    while length:
        if length & 1:
            total = _apply(step, total)
        step = _apply(step, step)
        length >>= 1
    return total


def _apply(matrix, values):
    values = np.asarray(values, np.uint32)
    result = np.zeros_like(values)
    for bit in range(32):
        result ^= np.where(values >> np.uint32(bit) & np.uint32(1), matrix[bit], np.uint32(0))
    return result


def crc32c(array, crc=0):
    """Of the bytes of a contiguous array; `crc` is that of the bytes before them."""
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    state = np.uint32(crc ^ 0xFFFFFFFF)
    length = len(data) // (2 * LANES)  # words in a lane
    if length > 8:
        words = data[:length * 2 * LANES].view("<u2").reshape(LANES, length).T
        lanes = np.zeros(LANES, np.uint32)
        lanes[0] = state
        for word in words:
            lanes = WORD[(lanes ^ word) & np.uint32(0xFFFF)] ^ (lanes >> np.uint32(16))
        pieces, matrix = lanes, _zeros(2 * length)
        while len(pieces) > 1:  # neighbours are joined: the first goes through as many zeros as the second is long
            pieces = _apply(matrix, pieces[::2]) ^ pieces[1::2]
            matrix = _apply(matrix, matrix)
        state = pieces[0]
        data = data[length * 2 * LANES:]
    state = int(state)
    table = BYTE.tolist()
    for byte in data.tolist():
        state = table[(state ^ byte) & 255] ^ (state >> 8)
    return state ^ 0xFFFFFFFF
