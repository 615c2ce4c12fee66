package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A plan is used again for the inputs that it was made for, and for no others. */
class PlanMemoTest {
  private static PlanMemo memo(DataType type, DataType result, Layout layout) {
    return new PlanMemo(new long[] {2, 3, 4}, 24, type, result, layout, false, 2, null);
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void tensorsOfOneTypeLayoutShapeAndNumberOfThreads(DataType type) {
    for (Layout layout : Layout.values()) {
      PlanMemo memo = memo(type, DataType.BF16, layout);
      for (DataType other : DataType.values()) {
        for (DataType result : DataType.values()) {
          for (Layout otherLayout : Layout.values()) {
            boolean same = other == type && result == DataType.BF16 && otherLayout == layout;
            assertSame(same ? memo : null, found(memo, other, result, otherLayout, 2, 2, 3, 4));
          }
        }
      }
      assertNull(found(memo, type, DataType.BF16, layout, 2, 2, 4, 3));
      assertNull(found(memo, type, DataType.BF16, layout, 2, 2, 3, 4, 1));
      assertNull(found(memo, type, DataType.BF16, layout, 1, 2, 3, 4));
    }
  }

  private static PlanMemo found(
      PlanMemo memo, DataType type, DataType result, Layout layout, int threads, long... shape) {
    return PlanMemo.matching(memo, shape, type, result, layout, threads);
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void arraysOfFloatsOfOneLengthAndNumberOfThreads(DataType type) {
    PlanMemo memo = memo(type, DataType.F32, Layout.CHANNELS_FIRST);
    assertSame(type == DataType.F32 ? memo : null, PlanMemo.matching(memo, 24, 2));
    assertNull(PlanMemo.matching(memo, 25, 2));
    assertNull(PlanMemo.matching(memo, 24, 1));
    assertNull(PlanMemo.matching(memo(type, DataType.F32, Layout.CHANNELS_LAST), 24, 2));
    assertNull(PlanMemo.matching(memo(type, DataType.BF16, Layout.CHANNELS_FIRST), 24, 2));
  }
}
