package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.nd4j.linalg.indexing.NDArrayIndex.all;
import static org.nd4j.linalg.indexing.NDArrayIndex.interval;

import io.nativenorm.LayerNorm;
import io.nativenorm.Tensor;
import java.lang.ref.WeakReference;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.memory.conf.WorkspaceConfiguration;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J's arrays, and views of them, as tensors: the same elements, or a refusal. */
class Nd4jTest extends LibraryTest {
  private static INDArray floats(long... shape) {
    return Nd4j.arange(Nd4j.prod(Nd4j.createFromArray(shape)).getLong(0))
        .castTo(DataType.FLOAT)
        .reshape('c', shape);
  }

  /** An array, and what it is. */
  private record Case(String name, INDArray array) {}

  @TestFactory
  Stream<DynamicTest> denseArraysAreTheSameElements() {
    INDArray all = floats(4, 6);
    return Stream.of(
            new Case("of its own", floats(4, 6)),
            new Case("some rows", all.get(interval(1, 3))),
            new Case("one row", all.getRow(2)),
            new Case("rows of rows", all.get(interval(1, 4)).get(interval(1, 3))),
            new Case("reshaped", all.reshape(2, 2, 6)),
            new Case("a part of one sample", floats(1, 4, 1, 6).get(all(), interval(1, 3))),
            new Case("a slice", floats(2, 3, 4).slice(1)),
            new Case("a scalar", Nd4j.scalar(3f)),
            new Case("a row in 'f' order", Nd4j.create(DataType.FLOAT, new long[] {1, 6}, 'f')))
        .map(one -> DynamicTest.dynamicTest(one.name(), () -> assertSame(one.array())));
  }

  private static void assertSame(INDArray array) {
    try (Tensor tensor = Nd4jTensors.wrap(array)) {
      assertArrayEquals(array.shape(), tensor.shape());
      float[] elements = array.dup('c').data().asFloat();
      assertArrayEquals(elements, tensor.toArray());
      elements[elements.length - 1] = -7;
      tensor.copyFrom(elements);
      assertArrayEquals(elements, array.dup('c').data().asFloat());
    }
  }

  @TestFactory
  Stream<DynamicTest> whatIsNotDenseIsRefused() {
    INDArray all = floats(4, 6);
    return Stream.of(
            new Case("some columns", all.get(all(), interval(1, 4))),
            new Case("a column", all.getColumn(2)),
            new Case("every other row", all.get(interval(0, 2, 4))),
            new Case("transposed", all.transpose()),
            new Case("'f' order", Nd4j.create(DataType.FLOAT, new long[] {4, 6}, 'f')),
            new Case("permuted, which says 'c'", floats(2, 5, 5, 3).permute(0, 3, 1, 2)),
            new Case("doubles", all.castTo(DataType.DOUBLE)),
            new Case("nothing", Nd4j.empty(DataType.FLOAT)))
        .map(
            one ->
                DynamicTest.dynamicTest(
                    one.name(),
                    () ->
                        assertTrue(
                            assertThrows(
                                    IllegalArgumentException.class,
                                    () -> Nd4jTensors.wrap(one.array()))
                                .getMessage()
                                .contains("dense in 'c' order"))));
  }

  @Test
  void rowsInsideAnArrayAreNormalizedThereAndNoOthers() {
    Rows rows = Rows.of(3, 768);
    INDArray all = Nd4j.ones(DataType.FLOAT, 10, 768);
    INDArray some = all.get(interval(2, 5));
    some.assign(Nd4j.create(rows.x(), rows.shape(), 'c'));
    try (LayerNorm norm = rows.layerNorm();
        Tensor tensor = Nd4jTensors.wrap(some)) {
      norm.forward(tensor, tensor);
    }
    rows.requireRight("the rows", all.get(interval(2, 5)).dup('c').data().asFloat());
    for (INDArray other : List.of(all.get(interval(0, 2)), all.get(interval(5, 10)))) {
      assertEquals(1, other.minNumber().floatValue());
      assertEquals(1, other.maxNumber().floatValue());
    }
  }

  @Test
  void memoryStaysWhileATensorIsOnIt() throws Exception {
    INDArray all = floats(4, 6);
    WeakReference<Object> data = new WeakReference<>(all.data());
    try (Tensor row = Nd4jTensors.wrap(all.getRow(2))) {
      all = null;
      for (int i = 0; i < 5; i++) {
        System.gc();
        Thread.sleep(20);
      }
      assertNotNull(data.get());
      assertEquals(12, row.get(0));
    }
  }

  @Test
  void arraysOfAWorkspaceAreTensorsWhileItIsOpen() {
    WorkspaceConfiguration options = WorkspaceConfiguration.builder().initialSize(1 << 20).build();
    try (MemoryWorkspace workspace =
        Nd4j.getWorkspaceManager().getAndActivateWorkspace(options, "own")) {
      Nd4j.create(DataType.FLOAT, 5); // the next begins behind it
      assertSame(Nd4j.ones(DataType.FLOAT, 4, 6));
    }
  }

  @Test
  void aClosedArrayIsRefused() {
    INDArray array = Nd4j.create(DataType.FLOAT, 4, 6);
    array.close();
    assertThrows(IllegalStateException.class, () -> Nd4jTensors.wrap(array));
  }
}
