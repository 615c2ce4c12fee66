/** A program of a user's. */
module consumer {
  requires io.nativenorm;
}
