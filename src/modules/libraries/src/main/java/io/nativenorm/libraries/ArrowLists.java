package io.nativenorm.libraries;

import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.complex.FixedSizeListVector;
import org.apache.arrow.vector.types.Types.MinorType;
import org.apache.arrow.vector.types.pojo.FieldType;

/** Rows as a vector of Arrow's, a list for each. */
final class ArrowLists {
  private ArrowLists() {}

  static FixedSizeListVector of(BufferAllocator allocator, Rows rows) {
    FixedSizeListVector lists = FixedSizeListVector.empty("lists", rows.length(), allocator);
    Float4Vector values =
        (Float4Vector)
            lists.addOrGetVector(FieldType.notNullable(MinorType.FLOAT4.getType())).getVector();
    values.allocateNew(rows.x().length);
    for (int i = 0; i < rows.x().length; i++) {
      values.set(i, rows.x()[i]);
    }
    values.setValueCount(rows.x().length);
    for (int i = 0; i < rows.rows(); i++) {
      lists.setNotNull(i);
    }
    lists.setValueCount(rows.rows());
    return lists;
  }
}
