"""SOAP 1.2 with MTOM and XOP, as IHE's web services use it (ITI TF-2 Appendix V)."""
