package io.nativenorm.engine.onednn;

import io.nativenorm.Activation;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;

/** The gradient of the activation, then that of the normalization, mended for RMS. */
final class BackwardSteps implements Steps {
  private final Problem problem;
  private final Primitive backward;

  /** Null except for RMS. */
  private final RmsGradientMend mend;

  BackwardSteps(Problem problem) {
    this.problem = problem;
    mend = problem.operation() == Operation.RMS ? new RmsGradientMend(problem) : null;
    backward = new Primitive(PrimitiveDescription.backward(problem));
  }

  @Override
  public void run(Operands operands) {
    if (problem.activation() == Activation.NONE) {
      normalize(operands);
    } else {
      Relu.mask(operands.dst(), operands.diffDst(), operands.diffSrc(), problem.elements());
      // oneDNN takes diff_dst and diff_src in one place, so the masked gradient needs no other.
      normalize(withMaskedGradient(operands));
    }
  }

  private void normalize(Operands operands) {
    if (mend == null) {
      backward.run(operands);
    } else {
      float[] missing = mend.missing(operands);
      backward.run(operands);
      mend.add(missing, operands.diffSrc());
    }
  }

  private static Operands withMaskedGradient(Operands o) {
    return new Operands(
        o.src(),
        o.dst(),
        o.weight(),
        o.bias(),
        o.mean(),
        o.variance(),
        o.diffSrc(),
        o.diffSrc(),
        o.diffWeight(),
        o.diffBias());
  }

  @Override
  public String implementation() {
    return backward.implementation();
  }

  @Override
  public boolean keepsItsTeamSize() {
    return backward.keepsItsTeamSize();
  }

  @Override
  public void close() {
    backward.close();
  }
}
