package io.nativenorm.engine.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.DataType;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Elements of rows that lie apart, one by one and some at once, over the ends of rows too. */
class RowsViewTest {
  @Test
  void rowsThatLieApartAreReadAndWrittenAsIfTheyDidNot() {
    try (PooledMemory pooled = MemoryPool.take(DataType.F32, 20)) {
      Memory memory = pooled.memory();
      float[] all = new float[20];
      for (int i = 0; i < all.length; i++) {
        all[i] = i;
      }
      memory.write(0, all, 0, all.length);
      RowsView rows = new RowsView(memory.view(), 2, 2, 7); // 0 to 3, 7 to 10, 14 to 17
      float[] read = new float[9];
      rows.read(2, read, 1, 8);
      assertArrayEquals(new float[] {0, 2, 3, 7, 8, 9, 10, 14, 15}, read);
      assertEquals(9, rows.get(6));
      rows.put(6, -1);
      rows.write(3, new float[] {30, 40}, 0, 2);
      memory.read(0, all, 0, 11);
      assertArrayEquals(new float[] {0, 1, 2, 30, 4, 5, 6, 40, 8, -1, 10}, Arrays.copyOf(all, 11));
    }
  }
}
