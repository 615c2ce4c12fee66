package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.BatchNorm;
import io.nativenorm.DataType;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

/** Tensors of ours on PyTorch's memory, and PyTorch's on ours. */
class PyTorchTest extends LibraryTest {
  private static org.bytedeco.pytorch.Tensor tensor(float[] values, long... shape) {
    return torch.from_blob(new FloatPointer(values), shape).clone();
  }

  private static float[] values(org.bytedeco.pytorch.Tensor tensor) {
    float[] values = new float[(int) tensor.numel()];
    new FloatPointer(tensor.data_ptr()).get(values);
    return values;
  }

  @Test
  void rowsAreNormalizedWhereTheyLie() {
    Rows rows = Rows.of(128, 768);
    try (org.bytedeco.pytorch.Tensor theirs = tensor(rows.x(), rows.shape());
        LayerNorm norm = rows.layerNorm();
        Tensor x = PyTorchTensors.wrap(theirs)) {
      norm.forward(x, x);
      rows.requireRight("what PyTorch has", values(theirs));
    }
  }

  @Test
  void someOfTheRowsAreDenseToo() {
    Rows rows = Rows.of(16, 64);
    try (org.bytedeco.pytorch.Tensor theirs = tensor(rows.x(), rows.shape());
        org.bytedeco.pytorch.Tensor some = theirs.narrow(0, 4, 8);
        LayerNorm norm = rows.layerNorm();
        Tensor x = PyTorchTensors.wrap(some)) {
      norm.forward(x, x);
      float[] expected = rows.x().clone();
      System.arraycopy(rows.expected(), 4 * 64, expected, 4 * 64, 8 * 64);
      Answers.requireRight("what PyTorch has", values(theirs), expected);
    }
  }

  @Test
  void channelsLastStayLast() {
    Images images = Images.of(2, 5, 7, 3);
    try (org.bytedeco.pytorch.Tensor first = tensor(images.x(), images.shape());
        org.bytedeco.pytorch.Tensor theirs = first.contiguous(torch.MemoryFormat.ChannelsLast);
        BatchNorm norm = images.batchNorm();
        Tensor x = PyTorchTensors.wrap(theirs)) {
      assertEquals(Layout.CHANNELS_LAST, x.layout());
      norm.forward(x, x);
      Answers.requireRight(
          "what PyTorch has",
          values(theirs),
          images.in(Layout.CHANNELS_LAST, images.batchNormalized()));
    }
  }

  @Test
  void sixteenBitsAreRoundedOnce() {
    Rows rows = Rows.of(16, 64);
    for (torch.ScalarType type : new torch.ScalarType[] {torch.kBFloat16(), torch.kHalf()}) {
      try (org.bytedeco.pytorch.Tensor theirs = tensor(rows.x(), rows.shape()).to(type);
          LayerNorm norm = LayerNorm.of(64);
          Tensor x = PyTorchTensors.wrap(theirs);
          Tensor wide = x.to(DataType.F32);
          Tensor expected = Tensor.zeros(rows.shape())) {
        norm.forward(wide, expected);
        norm.forward(x, x);
        try (Tensor rounded = expected.to(x.dataType());
            Tensor back = rounded.to(DataType.F32)) {
          assertArrayEquals(back.toArray(), values(theirs.to(torch.ScalarType.Float)));
        }
      }
    }
  }

  @Test
  void whatIsNotDenseIsRefused() {
    try (org.bytedeco.pytorch.Tensor theirs = torch.randn(4, 6, 5, 3)) {
      assertTrue(refused(theirs.transpose(1, 2)).contains("strides [90, 3, 15, 1]"));
      refused(theirs.narrow(1, 1, 3));
      refused(theirs.narrow(1, 0, 1).expand(4, 6, 5, 3));
      refused(theirs.to(torch.ScalarType.Double));
    }
  }

  private static String refused(org.bytedeco.pytorch.Tensor theirs) {
    return assertThrows(IllegalArgumentException.class, () -> PyTorchTensors.wrap(theirs))
        .getMessage();
  }

  /** A tensor is a pointer of JavaCPP's too, to an object of eight bytes. */
  @Test
  void theObjectIsNotTakenForItsElements() {
    try (org.bytedeco.pytorch.Tensor theirs = torch.randn(4, 64)) {
      assertThrows(
          IllegalArgumentException.class,
          () -> Tensor.wrap(theirs, DataType.F32, Layout.CHANNELS_FIRST, 4, 64));
    }
  }

  @Test
  void aClosedTensorIsNotReadAnyMore() {
    org.bytedeco.pytorch.Tensor theirs = torch.randn(4, 64);
    try (LayerNorm norm = LayerNorm.of(64);
        Tensor x = PyTorchTensors.wrap(theirs)) {
      theirs.close();
      assertThrows(IllegalStateException.class, () -> norm.forward(x, x));
    }
  }

  @Test
  void theirsReadOurs() {
    Rows rows = Rows.of(128, 768);
    try (Tensor x = Tensor.of(rows.x(), rows.shape());
        org.bytedeco.pytorch.Tensor theirs = torch.from_blob(x.pointer(), x.shape());
        org.bytedeco.pytorch.TensorOptional weight =
            new org.bytedeco.pytorch.TensorOptional(tensor(rows.weight(), 768));
        org.bytedeco.pytorch.TensorOptional bias =
            new org.bytedeco.pytorch.TensorOptional(tensor(rows.bias(), 768));
        org.bytedeco.pytorch.Tensor y =
            torch.layer_norm(theirs, new long[] {768}, weight, bias, Rows.EPS, false)) {
      rows.requireRight("PyTorch", values(y));
    }
  }
}
