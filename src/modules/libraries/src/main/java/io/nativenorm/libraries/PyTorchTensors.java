package io.nativenorm.libraries;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.global.torch;

/** Ours on the memory of a tensor of PyTorch's, in the order in which it lies. */
final class PyTorchTensors {
  static Tensor wrap(org.bytedeco.pytorch.Tensor theirs) {
    DataType type =
        switch (theirs.scalar_type().intern()) {
          case Float -> DataType.F32;
          case BFloat16 -> DataType.BF16;
          case Half -> DataType.F16;
          default -> throw new IllegalArgumentException("no floats, but " + theirs.toString());
        };
    boolean first = theirs.is_contiguous();
    boolean last = theirs.is_contiguous(torch.MemoryFormat.ChannelsLast);
    if (!theirs.is_cpu() || !(first || last)) {
      throw new IllegalArgumentException("not dense: strides " + theirs.strides().vec());
    }
    Layout layout = first ? Layout.CHANNELS_FIRST : Layout.CHANNELS_LAST;
    long[] shape = LongStream.range(0, theirs.dim()).map(theirs::size).toArray();
    return Tensor.wrap(theirs.data_ptr().address(), theirs, type, layout, shape);
  }
}
