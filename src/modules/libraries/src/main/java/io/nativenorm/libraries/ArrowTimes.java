package io.nativenorm.libraries;

import io.nativenorm.LayerNorm;
import io.nativenorm.Tensor;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.complex.FixedSizeListVector;

/** LayerNorm of lists in place against the same through an array, into which they are copied. */
final class ArrowTimes {
  private ArrowTimes() {}

  public static void main(String[] arguments) throws Exception {
    for (int count : new int[] {1, 128, 1024}) {
      Rows rows = Rows.of(count, 768);
      try (BufferAllocator allocator = new RootAllocator();
          FixedSizeListVector lists = ArrowLists.of(allocator, rows);
          LayerNorm norm = rows.layerNorm();
          Tensor x = ArrowTensors.wrap(lists)) {
        Float4Vector values = (Float4Vector) lists.getDataVector();
        float[] array = new float[rows.x().length];
        norm.forward(x, x);
        rows.requireRight("NativeNorm", x.toArray());
        Turns.race(
            count + " x 768",
            new Turns.Call("NativeNorm", () -> norm.forward(x, x)),
            new Turns.Call(
                "NativeNorm, wrapped",
                () -> {
                  try (Tensor wrapped = ArrowTensors.wrap(lists)) {
                    norm.forward(wrapped, wrapped);
                  }
                }),
            new Turns.Call(
                "through an array",
                () -> {
                  for (int i = 0; i < array.length; i++) {
                    array[i] = values.get(i);
                  }
                  norm.forward(array, array, rows.shape());
                  for (int i = 0; i < array.length; i++) {
                    values.set(i, array[i]);
                  }
                }));
      }
    }
  }
}
