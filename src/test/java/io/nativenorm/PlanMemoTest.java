package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A plan is used again for the inputs that it was made for, and for no others. */
class PlanMemoTest {
  private static PlanMemo memo(DataType type, Layout layout) {
    return new PlanMemo(new long[] {2, 3, 4}, 24, type, layout, false, 2, null);
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void tensorsOfOneTypeLayoutShapeAndNumberOfThreads(DataType type) {
    for (Layout layout : Layout.values()) {
      PlanMemo memo = memo(type, layout);
      for (DataType other : DataType.values()) {
        for (Layout otherLayout : Layout.values()) {
          PlanMemo found = PlanMemo.matching(memo, new long[] {2, 3, 4}, other, otherLayout, 2);
          assertSame(other == type && otherLayout == layout ? memo : null, found);
        }
      }
      assertNull(PlanMemo.matching(memo, new long[] {2, 4, 3}, type, layout, 2));
      assertNull(PlanMemo.matching(memo, new long[] {2, 3, 4, 1}, type, layout, 2));
      assertNull(PlanMemo.matching(memo, new long[] {2, 3, 4}, type, layout, 1));
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void arraysOfFloatsOfOneLengthAndNumberOfThreads(DataType type) {
    PlanMemo memo = memo(type, Layout.CHANNELS_FIRST);
    assertSame(type == DataType.F32 ? memo : null, PlanMemo.matching(memo, 24, 2));
    assertNull(PlanMemo.matching(memo, 25, 2));
    assertNull(PlanMemo.matching(memo, 24, 1));
    assertNull(PlanMemo.matching(memo(type, Layout.CHANNELS_LAST), 24, 2));
  }
}
