package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.DataType;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is raced in 16 bits are numbers of the type. */
class WorkloadTest {
  @Test
  void numbersAreRoundedToTheNearestOfTheTypeTiesToEven() {
    assertEquals(0x1.02p0f, Workload.rounded(DataType.BF16, 0x1.0101p0f));
    assertEquals(1, Workload.rounded(DataType.BF16, 0x1.01p0f));
    assertEquals(0x1.04p0f, Workload.rounded(DataType.BF16, 0x1.03p0f));
    assertEquals(-0x1p7f, Workload.rounded(DataType.BF16, -0x1.ffp6f));
    assertEquals(0x1p-133f, Workload.rounded(DataType.BF16, 0x1.8p-134f));
    assertEquals(0x1.004p0f, Workload.rounded(DataType.F16, 0x1.00201p0f));
    assertEquals(1, Workload.rounded(DataType.F16, 0x1.002p0f));
    assertEquals(65504, Workload.rounded(DataType.F16, 65519));
    assertEquals(0x1p-24f, Workload.rounded(DataType.F16, 0x1.8p-25f));
    for (DataType type : List.of(DataType.BF16, DataType.F16)) {
      assertEquals(0, Workload.rounded(type, 0));
    }
    assertEquals(0.1f, Workload.rounded(DataType.F32, 0.1f));
  }

  @Test
  void everyValueOfACellIsANumberOfItsType() {
    for (DataType type : Cell.TYPES) {
      Workload workload = Workload.of(Cell.named("odd-batch/CHANNELS_LAST/BACKWARD").in(type), 1);
      for (float[] values :
          List.of(
              workload.x(),
              workload.dy(),
              workload.weight(),
              workload.bias(),
              workload.runningMean(),
              workload.runningVariance())) {
        for (float value : values) {
          assertEquals(value, Workload.rounded(type, value));
        }
      }
    }
  }

  @Test
  void aCellsNameSaysTheTypeThatIsNotF32() {
    Cell cell = Cell.named("bert-base/CHANNELS_FIRST/BACKWARD");
    assertEquals(DataType.F32, cell.type());
    assertEquals("bert-base/CHANNELS_FIRST/BACKWARD", cell.id());
    assertEquals("bert-base/CHANNELS_FIRST/BACKWARD/BF16", cell.in(DataType.BF16).id());
    for (DataType type : Cell.TYPES) {
      assertEquals(cell.in(type), Cell.named(cell.in(type).id()));
    }
    assertEquals(cell.bytes(), 2 * cell.in(DataType.F16).bytes());
  }
}
