package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.LayerNorm;
import io.nativenorm.Tensor;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.complex.FixedSizeListVector;
import org.apache.arrow.vector.types.Types.MinorType;
import org.apache.arrow.vector.types.pojo.FieldType;
import org.junit.jupiter.api.Test;

/** Tensors of ours on vectors of Arrow's. */
class ArrowTest extends LibraryTest {
  private final Rows rows = Rows.of(16, 64);

  @Override
  String given() {
    return """
        FixedSizeListVector lists =
            FixedSizeListVector.empty("lists", 768, new org.apache.arrow.memory.RootAllocator());
        Float4Vector values =
            (Float4Vector)
                lists
                    .addOrGetVector(
                        org.apache.arrow.vector.types.pojo.FieldType.notNullable(
                            org.apache.arrow.vector.types.Types.MinorType.FLOAT4.getType()))
                    .getVector();
        values.allocateNew(128 * 768);
        for (int i = 0; i < 128 * 768; i++) {
          values.set(i, i % 10);
        }
        values.setValueCount(128 * 768);
        lists.setValueCount(128);
        """;
  }

  private static float[] values(FixedSizeListVector lists) {
    Float4Vector vector = (Float4Vector) lists.getDataVector();
    float[] values = new float[vector.getValueCount()];
    for (int i = 0; i < values.length; i++) {
      values[i] = vector.get(i);
    }
    return values;
  }

  @Test
  void listsAreRows() {
    try (BufferAllocator allocator = new RootAllocator();
        FixedSizeListVector lists = ArrowLists.of(allocator, rows);
        LayerNorm norm = rows.layerNorm();
        Tensor x = ArrowTensors.wrap(lists)) {
      assertArrayEquals(rows.shape(), x.shape());
      norm.forward(x, x);
      rows.requireRight("what Arrow has", values(lists));
    }
  }

  @Test
  void aSliceIsItsOwnRows() {
    try (BufferAllocator allocator = new RootAllocator();
        FixedSizeListVector lists = ArrowLists.of(allocator, rows)) {
      var transfer = lists.getTransferPair(allocator);
      transfer.splitAndTransfer(4, 8);
      try (FixedSizeListVector slice = (FixedSizeListVector) transfer.getTo();
          Tensor x = ArrowTensors.wrap(slice)) {
        assertArrayEquals(new long[] {8, 64}, x.shape());
        assertEquals(rows.x()[4 * 64], x.get(0, 0));
      }
    }
  }

  @Test
  void nullsAndOtherTypesAreRefused() {
    try (BufferAllocator allocator = new RootAllocator();
        FixedSizeListVector lists = ArrowLists.of(allocator, rows);
        FixedSizeListVector longs = FixedSizeListVector.empty("longs", 2, allocator)) {
      ((Float4Vector) lists.getDataVector()).setNull(3);
      assertThrows(IllegalArgumentException.class, () -> ArrowTensors.wrap(lists));
      longs.addOrGetVector(FieldType.notNullable(MinorType.BIGINT.getType()));
      assertThrows(IllegalArgumentException.class, () -> ArrowTensors.wrap(longs));
    }
  }
}
