package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What docs/numbers.md says of depth. */
class DepthTest {
  /** The two round the same numbers, but for one in thousands; what is left is chance. */
  private static final double CHANCE = 1.01;

  @ParameterizedTest
  @CsvSource({"LAYER,BF16,1.2e-2", "LAYER,F16,1.5e-3", "RMS,BF16,9e-3", "RMS,F16,1.2e-3"})
  void errorsAreNotAbovePyTorchsAndLessWithAStreamInF32(
      Operation operation, DataType type, double most) {
    double own = Depth.error(operation, type, type, "NativeNorm AUTO", 2);
    double other = Depth.error(operation, type, type, "PyTorch", 2);
    double wide = Depth.error(operation, type, DataType.F32, "NativeNorm AUTO", 2);
    assertTrue(own <= CHANCE * other, own + " and PyTorch " + other);
    assertTrue(own <= most && own >= most / 2, () -> own + " of " + most);
    assertTrue(wide <= own / 2, wide + " of " + own);
  }
}
