package io.nativenorm.engine.onednn;

/** The primitives that make up one problem, prepared for one team size. */
interface Steps extends Team.Work, AutoCloseable {
  /** The implementation that does the main part. */
  String implementation();

  /** Whether this never asks OpenMP for another team size than it was prepared for. */
  boolean keepsItsTeamSize();

  /** Whether more threads of the team than its one would do anything. */
  boolean usesTeam();

  @Override
  void close();
}
