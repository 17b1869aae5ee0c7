"""An I2C bus with two accelerometers on it that answer as their data sheets say, beneath the real drivers.

LSM6DSOX: ST DS12814, tables 20 (CTRL1_XL), 52 (FS_XL and sensitivity), CTRL3_C's SW_RESET; little-endian.
MPU-6050: InvenSense RM-MPU-6000A and PS-MPU-6000A; big-endian, asleep after power-up.
Both count their register pointer up. Nothing here comes from the drivers.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

Acceleration = Callable[[], tuple[float, float, float]]


class Chip:
    """256 registers, a pointer that counts up, and power that can go away."""

    defaults: dict[int, int]
    output: int

    def __init__(self, acceleration_g: Acceleration) -> None:
        self._acceleration_g = acceleration_g
        self._pointer = 0
        self.is_powered = True
        self.reset()

    def reset(self) -> None:
        self.registers = bytearray(256)
        for at, value in self.defaults.items():
            self.registers[at] = value

    def lose_power(self) -> None:
        self.is_powered = False
        self.reset()

    def write(self, data: bytes) -> None:
        if not data:
            return
        self._pointer = data[0]
        for value in data[1:]:
            self.set(self._pointer, value)
            self._pointer += 1

    def read(self, count: int) -> bytes:
        self.registers[self.output : self.output + 6] = self.measured()
        found = bytes(self.registers[self._pointer : self._pointer + count])
        self._pointer += count
        return found

    def set(self, at: int, value: int) -> None:
        self.registers[at] = value

    def measured(self) -> bytes:
        raise NotImplementedError

    def counts(self, counts_per_g: float) -> list[int]:
        return [max(-32768, min(32767, round(axis * counts_per_g))) for axis in self._acceleration_g()]


class Lsm6dsox(Chip):
    address = 0x6A
    defaults = {0x0F: 0x6C, 0x12: 0x04, 0x18: 0xE0}  # noqa: RUF012  # WHO_AM_I, CTRL3_C (IF_INC), CTRL9_XL
    output = 0x28  # OUTX_L_A
    CTRL1_XL, CTRL2_G, CTRL3_C = 0x10, 0x11, 0x12
    MG_PER_COUNT = {0b00: 0.061, 0b01: 0.488, 0b10: 0.122, 0b11: 0.244}  # noqa: RUF012  # +-2, 16, 4, 8 g

    def set(self, at: int, value: int) -> None:
        if at == self.CTRL3_C and value & 1:  # SW_RESET clears itself
            self.reset()
        elif at != 0x0F:
            self.registers[at] = value

    @property
    def rate_code(self) -> int:
        return self.registers[self.CTRL1_XL] >> 4

    @property
    def range_code(self) -> int:
        return self.registers[self.CTRL1_XL] >> 2 & 0b11

    def measured(self) -> bytes:
        if not self.rate_code:  # powered down
            return bytes(6)
        return struct.pack("<3h", *self.counts(1000 / self.MG_PER_COUNT[self.range_code]))


class Mpu6050(Chip):
    address = 0x68
    defaults = {0x6B: 0x40, 0x75: 0x68}  # noqa: RUF012  # PWR_MGMT_1 (SLEEP), WHO_AM_I
    output = 0x3B  # ACCEL_XOUT_H
    SMPLRT_DIV, CONFIG, ACCEL_CONFIG, PWR_MGMT_1 = 0x19, 0x1A, 0x1C, 0x6B
    COUNTS_PER_G = (16384, 8192, 4096, 2048)

    def set(self, at: int, value: int) -> None:
        if at == self.PWR_MGMT_1 and value & 0x80:  # DEVICE_RESET clears itself
            self.reset()
        elif at != 0x75:
            self.registers[at] = value

    @property
    def range_code(self) -> int:
        return self.registers[self.ACCEL_CONFIG] >> 3 & 0b11

    def measured(self) -> bytes:
        if self.registers[self.PWR_MGMT_1] & 0x40:  # asleep
            return bytes(6)
        return struct.pack(">3h", *self.counts(self.COUNTS_PER_G[self.range_code]))


class FakeBus:
    """What the drivers want of ``busio.I2C``; an address where nobody answers is EREMOTEIO, as on Linux."""

    def __init__(self, *chips: Chip) -> None:
        self._chips = {chip.address: chip for chip in chips}
        self._locked = False

    def try_lock(self) -> bool:
        free, self._locked = not self._locked, True
        return free

    def unlock(self) -> None:
        self._locked = False

    def _at(self, address: int) -> Chip:
        chip = self._chips.get(address)
        if chip is None or not chip.is_powered:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        return chip

    def writeto(self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None) -> None:
        self._at(address).write(bytes(buffer[start:end]))

    def readfrom_into(self, address: int, buffer: bytearray, *, start: int = 0, end: int | None = None) -> None:
        end = len(buffer) if end is None else end
        buffer[start:end] = self._at(address).read(end - start)

    def writeto_then_readfrom(
        self,
        address: int,
        buffer_out: bytes,
        buffer_in: bytearray,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        self.writeto(address, buffer_out, start=out_start, end=out_end)
        self.readfrom_into(address, buffer_in, start=in_start, end=in_end)


class FakeSMBus:
    """What Blinka's access to Linux wants of ``Adafruit_PureIO.smbus.SMBus``, on the same chips."""

    def __init__(self, *chips: Chip) -> None:
        self._bus = FakeBus(*chips)

    def write_bytes(self, address: int, data: bytes) -> None:
        self._bus.writeto(address, data)

    def read_bytes(self, address: int, count: int) -> bytearray:
        found = bytearray(count)
        self._bus.readfrom_into(address, found)
        return found

    def read_i2c_block_data(self, address: int, command: bytes, length: int) -> bytearray:
        self.write_bytes(address, command)
        return self.read_bytes(address, length)
