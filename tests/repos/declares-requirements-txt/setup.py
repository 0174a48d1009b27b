from setuptools import setup

setup(name='figures')
